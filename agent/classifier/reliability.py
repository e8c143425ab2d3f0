"""How often verdicts are right on the corpus; python -m tests.corpus.report writes it."""

CASES = 482

TABLES = """
| confidence | containers | claims to be right in | is right in |
| --- | ---: | ---: | ---: |
| 0.00 to 0.25 | 3 | 56 % | 100.0 % |
| 0.25 to 0.50 | 97 | 71 % | 97.9 % |
| 0.50 to 0.75 | 103 | 85 % | 100.0 % |
| 0.75 to 1.00 | 277 | 93 % | 99.6 % |
| `unknown` | 2 | - | - |

| engine | containers | sure verdicts | right | not sure | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| bubblewrap | 3 | 3 | 100.0 % | 0 | - | 0 |
| docker | 434 | 335 | 99.7 % | 97 | 97.9 % | 2 |
| lxc | 22 | 19 | 100.0 % | 3 | 100.0 % | 0 |
| none | 3 | 3 | 100.0 % | 0 | - | 0 |
| nspawn | 7 | 7 | 100.0 % | 0 | - | 0 |
| podman | 10 | 10 | 100.0 % | 0 | - | 0 |
| runc | 2 | 2 | 100.0 % | 0 | - | 0 |
| unshare | 1 | 1 | 100.0 % | 0 | - | 0 |

| first process | containers | sure verdicts | right | not sure | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| a process that only starts and reaps its children | 37 | 34 | 100.0 % | 3 | 100.0 % | 0 |
| a process that only waits | 54 | 48 | 100.0 % | 6 | 100.0 % | 0 |
| a program | 169 | 145 | 100.0 % | 22 | 95.5 % | 2 |
| a service manager | 66 | 53 | 100.0 % | 13 | 100.0 % | 0 |
| a shell | 47 | 39 | 100.0 % | 8 | 87.5 % | 0 |
| a supervisor | 106 | 61 | 98.4 % | 45 | 100.0 % | 0 |
| none seen | 3 | 0 | - | 3 | 100.0 % | 0 |
"""
