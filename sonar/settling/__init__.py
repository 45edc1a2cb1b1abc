"""How a round is settled, from what was revealed and opened: one code for the scientist and her auditors.

lots       draws that nobody can know before all answers are revealed
verdict    who is left out, and why
shares     who is paid which part
evidence   the public record of it
"""
