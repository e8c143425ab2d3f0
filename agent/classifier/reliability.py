"""How often verdicts are right on the corpus; python -m tests.corpus.report writes it."""

CASES = 657

TABLES = """
| confidence | containers | claim | evidence alone | right |
| --- | ---: | ---: | ---: | ---: |
| 0.00 to 0.25 | 2 | 53 % | 53 % | 100.0 % (34 to 100) |
| 0.25 to 0.50 | 24 | 70 % | 70 % | 95.8 % (80 to 99) |
| at most 0.45, as there is room | 137 | 72 % | 78 % | 99.3 % (96 to 100) |
| 0.50 to 0.75 | 123 | 85 % | 85 % | 100.0 % (97 to 100) |
| 0.75 to 1.00 | 327 | 93 % | 93 % | 100.0 % (99 to 100) |
| `unknown` | 44 | - | - | - |

| engine | containers | sure | right | not sure | claim | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| bubblewrap | 3 | 3 | 100.0 % (44 to 100) | 0 | - | - | 0 |
| docker | 601 | 399 | 100.0 % (99 to 100) | 158 | 72 % | 98.7 % (96 to 100) | 44 |
| lxc | 30 | 25 | 100.0 % (87 to 100) | 5 | 64 % | 100.0 % (57 to 100) | 0 |
| none | 3 | 3 | 100.0 % (44 to 100) | 0 | - | - | 0 |
| nspawn | 7 | 7 | 100.0 % (65 to 100) | 0 | - | - | 0 |
| podman | 10 | 10 | 100.0 % (72 to 100) | 0 | - | - | 0 |
| runc | 2 | 2 | 100.0 % (34 to 100) | 0 | - | - | 0 |
| unshare | 1 | 1 | 100.0 % (21 to 100) | 0 | - | - | 0 |

| first process | containers | sure | right | not sure | claim | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| a process that only starts and reaps its children | 43 | 38 | 100.0 % (91 to 100) | 5 | 72 % | 100.0 % (57 to 100) | 0 |
| a process that only waits | 58 | 49 | 100.0 % (93 to 100) | 8 | 72 % | 100.0 % (68 to 100) | 1 |
| a program | 236 | 172 | 100.0 % (98 to 100) | 45 | 72 % | 97.8 % (88 to 100) | 19 |
| a service manager | 77 | 62 | 100.0 % (94 to 100) | 15 | 67 % | 93.3 % (70 to 99) | 0 |
| a shell | 59 | 45 | 100.0 % (92 to 100) | 14 | 72 % | 100.0 % (78 to 100) | 0 |
| a supervisor | 181 | 84 | 100.0 % (96 to 100) | 73 | 72 % | 100.0 % (95 to 100) | 24 |
| none seen | 3 | 0 | - | 3 | 66 % | 100.0 % (44 to 100) | 0 |
"""
