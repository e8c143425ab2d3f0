"""How often verdicts are right on the corpus; python -m tests.corpus.report writes it."""

CASES = 570

TABLES = """
| confidence | containers | claims to be right in | is right in |
| --- | ---: | ---: | ---: |
| 0.00 to 0.25 | 3 | 56 % | 100.0 % |
| 0.25 to 0.50 | 144 | 72 % | 100.0 % |
| 0.50 to 0.75 | 115 | 85 % | 100.0 % |
| 0.75 to 1.00 | 298 | 93 % | 100.0 % |
| `unknown` | 10 | - | - |

| engine | containers | sure verdicts | right | not sure | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| bubblewrap | 3 | 3 | 100.0 % | 0 | - | 0 |
| docker | 521 | 367 | 100.0 % | 144 | 100.0 % | 10 |
| lxc | 23 | 20 | 100.0 % | 3 | 100.0 % | 0 |
| none | 3 | 3 | 100.0 % | 0 | - | 0 |
| nspawn | 7 | 7 | 100.0 % | 0 | - | 0 |
| podman | 10 | 10 | 100.0 % | 0 | - | 0 |
| runc | 2 | 2 | 100.0 % | 0 | - | 0 |
| unshare | 1 | 1 | 100.0 % | 0 | - | 0 |

| first process | containers | sure verdicts | right | not sure | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| a process that only starts and reaps its children | 43 | 38 | 100.0 % | 5 | 100.0 % | 0 |
| a process that only waits | 58 | 49 | 100.0 % | 8 | 100.0 % | 1 |
| a program | 190 | 151 | 100.0 % | 34 | 100.0 % | 5 |
| a service manager | 70 | 57 | 100.0 % | 13 | 100.0 % | 0 |
| a shell | 57 | 43 | 100.0 % | 14 | 100.0 % | 0 |
| a supervisor | 149 | 75 | 100.0 % | 70 | 100.0 % | 4 |
| none seen | 3 | 0 | - | 3 | 100.0 % | 0 |
"""
