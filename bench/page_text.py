"""The words of the page around its figures."""

NOTE = "<!-- All of this is written by `make bench`: change bench, not the page. -->"
HEAD = """{note}

# Benchmarks

{at:%Y-%m-%d}, `make bench`: {verdict}

A worker of Tally as a user starts it, of two processes, counts campaigns of real webhook bodies and send
results, into a read API and into Postgres. The broker, Postgres, what publishes the load, what asks and what
is measured are processes on the same cores, with the same priority: nobody has the machine to itself.
*Must* is what has to hold on such a machine, *aim* is what is meant to.

{machine}"""
QUICK = "**quick: figures mean nothing**; it only shows that everything runs."
FAILED = "## What failed\n\nNot measured, since a number was wrong or something did not come in time: {}."
RATES = """All contenders count the same {events:,} events ({slow:,} for Faust, or it would take minutes),
which are in the raw topics before they start. They take turns, {rounds} rounds: median, least and most.
The peers do a part of the job: [what they do, and what they cannot](../bench/peers/README.md)."""
BY_PROCESS = "Of the worker's CPU an event {shares}."
RECOVERY = """On an empty disk the worker of the largest load reads {records:,} records of its changelogs in
{seconds:.1f} s, and has {rss:.0f} MB of memory then."""
BUDGET = """## Where the time of an event goes

At {load} events/s ({carried} carried), {probes} probes. A stage begins where the one before ends.
Its bar is the median, and behind it what the 99th percentile has more.
The worst of one stage seldom comes with the worst of another, so percentiles do not add up."""
NOT_USED = """Compiled modules (mypyc), another Kafka client (librdkafka) and numbers in place of the names of
counters in rows were measured and are not used. Compiled, the fold took 16 % less CPU and route 5 %, but a
whole process gained nothing; librdkafka would save 2 of 27 us an event, and its transactions take longer;
numbers make a row a fifth as long, and to translate them in view and Postgres costs what that saves."""
METHOD = """## How it is measured

* **Right first.** A figure counts only if the numbers are right.
  For throughput every counter of every campaign and template in view and Postgres has to be
  what plain SQL counts of the raw topics, and every row of a peer too.
  Elsewhere every row of a template in view and Postgres has to be
  a plain count of the very events that were published, and each probe is counted exactly once.
* **Throughput.** The clock runs from the first raw event that is taken to the last row that it changes:
  for Tally in view and Postgres, for the peers in a topic, since they have neither.
  CPU is that of all threads of all processes of a contender, user and system, without broker and Postgres.
* **Time to a number.** A probe is a send result of a campaign of its own.
  Its time runs from the broker's acknowledgement until an answer of that campaign has it,
  for which one client asks every 10 ms, or until Postgres has it, which is asked every 20 ms;
  never both at once, since the questions to the one would slow the other.
  The load is real bodies, spread evenly.
  {warm_up_per_second:,.0f} events/s flow for {warm_up_seconds:.0f} s before: until then a broker that has
  just started compiles itself, which takes up to 0.4 of a core.
  A probe that nobody sees within 15 s counts as never seen.
  Beside each figure stands what the worker really took meanwhile;
  a figure at less than 95 % of its load does not hold.
  For answers one client asks 50 times a second for a campaign that the load changes,
  of a worker of three processes: route, fold and view apart.
* **Growth.** Each load is counted by a worker that has counted nothing before.
  The first load is counted before and after the others, and they are compared with the mean of both.
  Memory is what all processes of the worker have resident once everything is counted,
  where the local copies have `TALLY_MEMORY_MB={memory_mb}`;
  with more than {budget_mb} MB in all nothing holds.
* **Where the time goes.** For that measurement alone a worker is started whose methods are wrapped
  from outside, so that they note which records pass.
  Tally has no such marks, and all other figures are without them."""
TOOK = "The sections took {sections}: {minutes:.0f} minutes in all."
