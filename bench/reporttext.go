package main

const reportHead = `# What an OTP costs

<!-- Written by ` + "`make bench`" + ` from bench/results.json: measure anew instead of changing it here. -->

An OTP that can never cost a device takes two exchanges with inWebo and two durable writes. The floor is a service that does
those and nothing else: a bare net/http handler that makes the same two exchanges with the same simulator, over connections
that it keeps, and two appends of the same size to a journal, group-committed and synced with fdatasync, and answers always
the same JSON. pimsd has everything on: callers authenticated by API key, devices sealed, PIN guard, audit, metrics, a log
line for each request, SQLite unless a row says otherwise. Its quota alone is off, or no account would get enough OTPs, and
one key may call as often as it can.

Load generator, simulator, floor and pimsd are processes of their own on one machine, on loopback. The two sides take turns,
and so does which of them goes first; a row has twenty parts, and what stands here is the median of the parts, a ratio the
median of the ratios in each part. On a machine that does other things as well, the ratios mean something and the rest little.
CPU is user and system of the service's process alone. How many OTPs were given is held against what the simulator has issued.

` + "`make bench`" + ` measures what takes minutes, ` + "`make bench ROWS=sqlite-1m-start,sqlite-1m-even`" + ` the rows that it is told;
` + "`go run ./bench -h`" + ` lists them.
`

const reportWhy = `
## What stands between pimsd and the floor

No one part does: row ` + "`shares`" + ` has them. The largest is the store: rows ` + "`store-one`, `store-delay` and `store-64`" + `
are the floor once more, with pimsd's SQLite store in place of its journal and nothing else of pimsd around it. With 16 callers
the store alone is further from the floor than the goal allows, whatever stands on it, and of the other goals it leaves little
for all the rest.

What the floor does not do:

- It appends bytes. SQLite changes pages, of a table of records, a table of audit lines and the index of their ids, writes
  them to its log, and later into the database.
- It reads nothing. Each request here reads its key and its record, each in a transaction of its own: a key that is revoked
  by a command is refused by the next request, and a record that another process has changed is seen.
- It keeps its devices in memory, in the clear. Here a record is opened once and sealed twice for each OTP, under a key that is
  derived for its account, and its JSON is read once and written twice.
- It believes everybody. Here a body is read strictly, a caller is looked up, held to a rate and answered in an envelope, and
  each request is logged and counted.

With one caller the same work takes several times as long as with 64: everything sleeps and is woken in between, and finds
its caches cold. That is why the ratio of the times is what the ratio of the processor's time is, also there.

What was tried and left out again, since what it gained could not be told from noise: to remember ciphers between the three
uses in an OTP, a build that follows a profile of itself, a third thread for Go to run on, a table of records without the index of
holds and one of audit lines without that of their ids, and records that lie where a hash of their account says. What was not
tried, since it would cost what pimsd is for: to believe in a key or a record of a moment ago without looking.

A store of a million accounts costs more than one of a thousand because each write meets a page of its own: it has to be read
first, and no two writes of a transaction share one. It would cost more still if lookups had their own connections, whose pages
each commit makes them read anew: among many writes they wait for the writer's, which has room for the inner pages of its trees.
`
