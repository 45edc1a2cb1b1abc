"""The text of `pysonar run --help`: a bounty's file, field by field."""

RUN = """\
Post a bounty and see it through, to the trained model, or the table of a study, and the last withdrawal.

You can stop or kill it at any time; the same command continues where it was, and posts nothing twice.
With --json it does not ask, and its last line, of kind "done", holds the whole result.

Example: `pysonar run bounty.toml`, with this in the file:

    name = "diabetes"
    rounds = 7
    cohort = 10               # most mines per round
    min_mines = 5             # fewer updates are never decrypted
    reward = "1 ether"
    fee = "0.01 ether"        # per mine and round
    stake = "0.05 ether"

    [holdout]                 # your own rows, to test the model
    csv = "holdout.csv"
    target = "progression"

To pay in a token, and among mines that you name (or allow_file = "mines.txt", an address a line):

    asset = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
    asset_symbol = "USDC"     # what you call it: the unit of the amounts
    asset_decimals = 6        # compared with the token's own
    reward = "500 USDC"       # or in its smallest unit: "500_000_000 units"
    allow = ["0x52908400098527886E0F7030069857D2E4169EE7", ...]

To ask for a statistic of everybody's rows in place of a model, without [holdout] and reward (`pysonar
result NAME` shows it again):

    name = "heights"
    fee = "0.002 ether"       # all that mines are paid

    [statistic]
    kind = "describe"         # or correlation, ols, ridge, quantiles, ...:
                              # a kind that is not there lists them all
    by = "sex"                # fields of that statistic

    [columns.height]          # each column, as all mines have it
    low = 50                  # values beyond are clipped
    high = 250
    unit = "cm"
    missing = true            # cells may be empty

    [columns.sex]
    levels = ["f", "m"]       # categories, by their names

A study also takes rows_min and rows_max, the rows that a mine may have (10 and 1_048_576), and rounds, the
most in all: by default those of the statistic, and two or more for rounds in which nothing is opened. Money,
windows, allow, [capsules] and key_bits are as below; there is no audit.

So that nobody can read a single answer, not even you (network.toml lists capsules):

    [capsules]                # an empty table will do
    threshold = 2             # of them open a sum, and sign settlements
    members = ["0x5290...", ...]   # default: all that are listed
    audit = true              # they recompute each settlement
    bits = 288                # told of one answer in a round, at most

So that little is learned of any single row, by whoever (mines add noise once):

    [privacy]
    epsilon = 8               # what a mine's data set pays, once
    delta = 1e-5
    noise = "local"           # or "shared": less, behind capsules

All other fields have a default. Above [holdout]:

    loss = "squared"        # or "logistic-taylor": a target of labels
    classes = ["no", "yes"] # the labels; default: those of the holdout
    drop = true             # leave out columns that cannot be used, or
                            # those that you name: ["id", "visit"]
    patience = 2            # end after so many rounds that bring less
    least_gain = 0.001      # than this of the null model's loss; 0: never
    optimiser = "gradient-memory"   # or
                            # { kind = "gradient-descent", rate = 0.1 }
    key_bits = 3072         # 2048 or more; less: insecure_key = true
    commit_window_s = 120   # and reveal_window_s
    settle_window_s = 86_400   # a day; on a development network, minutes
    rows_min = 33           # that a mine needs: three per weight
    weight_rows = 33        # the most that a mine's rows weigh
    r2 = 0.53               # good enough; or mse; for classes log_loss or auc;
                            # default: the best that is possible
    start = "model.json"    # your own weights, or an earlier bounty's
                            # name: only improvement is paid
    feature_map = "standard"   # or a table, as below
    settler = "0x5290..."   # who must sign each settlement, besides you
    overdue_bps = 10_000    # what you owe of the unpaid reward if you do
                            # not settle: 10_000 is all, 5_000 half
    quiet_s = 0             # a round's commits end this long after the
                            # last one; 0: only with their window
    local_steps = 1         # at the mine, by local_rate
    weight_max = 64.0       # and a_row_l1_max, b_max, target_clip: bounds
    weight_frac = 16        # and data_frac: bits after the point

Feature maps by their tables:

    feature_map = { kind = "standard", clip = 8.0 }
    feature_map = { kind = "bent", clip = 8.0 }
    feature_map = { kind = "polynomial", degree = 2 }
    feature_map = { kind = "fourier", n_components = 50 }
    feature_map = { kind = "linear-fourier", n_components = 50 }
    feature_map = { kind = "leaves", trees = 50, depth = 2 }

Each map standardises the columns and cuts them off at clip deviations. The bent map adds their absolute
values, and so makes a line on each side of each mean. The polynomial map adds products
of up to degree = 2 (or 3) columns: 66 weights from 10 columns. The fourier map is scikit-learn's
RBFSampler on standardised columns, with n_components, gamma (by default 1 / columns) and random_state;
linear-fourier keeps the columns beside it.
The leaves map adds a column of 0 and 1 for each leaf of trees that scikit-learn boosts on your holdout,
with trees, depth (1 to 4 columns), learning_rate and random_state: close to boosted trees on all rows if
you hold out a thousand rows or more. A model has at most 1000 weights, and a mine needs three rows for
each, or more if many Fourier features or leaves are made from few columns.

In [holdout]: features = ["age", "bmi"], if not all columns; target = ["a", "b"] to predict several;
example = "diabetes" in place of csv, with rows = 42.
"""
