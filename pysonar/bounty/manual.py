"""What `pysonar run --help` tells: a bounty's file, field by field."""

RUN = """\
Post a bounty and see it through, to the trained model and the last withdrawal.

It may be stopped or killed at any time; the same command goes on where it was, and posts nothing twice.
With --json it does not ask, and ends with a line of kind "done" that holds the whole result.

Example: `pysonar run bounty.toml`, with this in the file:

    name = "diabetes"
    rounds = 7
    cohort = 10               # most mines per round
    min_mines = 5             # fewer updates are never decrypted
    reward = "1 ether"
    fee = "0.01 ether"        # per mine and round
    stake = "0.05 ether"

    [holdout]                 # your own rows, that judge the model
    csv = "holdout.csv"
    target = "progression"

To pay in a token, and among mines that you name (or allow_file = "mines.txt", an address a line):

    asset = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
    asset_symbol = "USDC"     # what you call it: the unit of the amounts
    asset_decimals = 6        # checked against the token's own
    reward = "500 USDC"       # or in its smallest: "500_000_000 units"
    allow = ["0x52908400098527886E0F7030069857D2E4169EE7", ...]

All other fields have a default. Above [holdout]:

    loss = "squared"        # or "logistic-taylor": a target of -1 and 1
    optimiser = "gradient-memory"   # or
                            # { kind = "gradient-descent", rate = 0.1 }
    key_bits = 3072         # 2048 or more; less: insecure_key = true
    commit_window_s = 120   # and reveal_window_s
    settle_window_s = 86_400   # a day; of a development network, minutes
    rows_min = 33           # of a mine, three per weight
    weight_rows = 33        # the most that a mine's rows weigh
    r2 = 0.53               # ends it, or mse; of classes log_loss or auc;
                            # the best that is possible, if left out
    start = "model.json"    # your own weights, or an earlier bounty's
                            # name: only what is better is paid
    feature_map = "standard"   # or a table, as below
    settler = "0x5290..."   # who must sign each settlement, besides you
    overdue_bps = 10_000    # of the unpaid reward, if you do not settle
    quiet_s = 0             # a round's commits end so long after the
                            # last one; 0: with their window
    local_steps = 1         # at the mine, by local_rate
    weight_max = 64.0       # and a_row_l1_max, b_max, target_clip: bounds
    weight_frac = 16        # and data_frac: bits after the point

Feature maps by their tables:

    feature_map = { kind = "standard", clip = 8.0 }
    feature_map = { kind = "polynomial", degree = 2 }
    feature_map = { kind = "fourier", n_components = 50 }

Standardised columns are cut off at clip deviations, in each of them. The polynomial map has products of
up to degree = 2 (or 3) columns as well: 66 weights of 10 columns. The fourier map is scikit-learn's
RBFSampler on standardised columns, by n_components, gamma (1 / columns, if left out) and random_state. A
model has at most 1000 weights, and a mine needs three rows for each; more, where many Fourier features
are made of few columns.

In [holdout]: features = ["age", "bmi"], if not all columns; target = ["a", "b"] to predict several;
example = "diabetes" in place of csv, with rows = 42.
"""
