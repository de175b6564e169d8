// Package sim is how Weir behaves, written as scripts that anybody can read and
// add to: each file testdata/*.txt is a story of requests and what comes of them.
// It has no code but its tests.
//
// A script runs against the real gateway, limiter, policies, identities and
// project loader, without sockets and in virtual time, so that a month takes no
// longer than a second. Before each request the gateway is asked to explain what
// it would do, and held to it; and what it tells a client (Retry-After, what is
// left, what the limit is) is held to what is true.
//
// # A file
//
// The script comes first, then the project's files, each behind a line with its
// name:
//
//	# A tier of 20 requests a minute.
//	at 0s
//	hit shop GET /pizza/1/menu x20 allow
//	hit shop GET /pizza/1/menu deny 900804 retry=60
//	at 60s
//	hit shop GET /pizza/1/menu allow
//
//	-- policies.yaml --
//	subscriptionPolicies:
//	  - Twenty: {count: 20, unitTime: 1, timeUnit: min}
//	-- applications.yaml --
//	applications:
//	  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pizza, version: "1", tier: Twenty}]}
//
// A script without a file in api_definitions/ gets an API pizza, version 1, with
// GET and POST /pizza/1/menu. The default policies are always there. Files in any
// other folder are for the step apply.
//
// Empty lines, and what stands behind a # at the beginning of a line or after a
// space, are for the reader.
//
// # Steps
//
//	at 90s                          the clock shows so long after the start, which
//	                                is 2026-01-01T00:00:00Z
//	at 2026-03-29T02:00:00+01:00    the clock shows this
//	hit WHO METHOD TARGET [xN] OUTCOME ...
//	                                a request, or N equal ones
//	every 1s xM hit ...             M times: the clock moves on, then the hit
//	apply v2                        the files under v2/ are laid over the project,
//	                                and it is applied while counters are running
//	apply v2 refused SOME TEXT      it is not applied, and the error has the text
//	open NAME WHO METHOD TARGET OUTCOME ...
//	                                a WebSocket is opened
//	event NAME [xN] pass|drop       a message is sent on it
//	close NAME                      it is closed
//	count forwarded|rejected|bytes N
//	count refused|shadowed LEVEL N  a counter of the gateway shows N
//
// WHO is "-", nobody; shop, the application of that name by its API key;
// shop/sandbox, the same by its sandbox key; shop:ann or shop/sandbox:ann, a token
// of the user ann for that application; shop:ann#2 another token of hers.
// Applications have their keys and clients from the runner; scripts name none.
//
// OUTCOME is allow: the request is forwarded; deny: it is refused, with a code
// where one follows; answered: the gateway itself answers what was asked.
//
// # Options of a hit
//
// What the request is:
//
//	ip=192.0.2.1         the address it comes from, otherwise 198.51.100.1; those in
//	                     203.0.113.0/24 are trusted proxies
//	header=Name:value    a field of its header
//	claim=name:value     a claim of its token
//	expires=1h           when its token expires, after the start
//	body=100             the size of its body; chunked=100: not declared
//	answer=100           the size of the answer's body
//	took=5s              when the answer had been sent
//	reached=no           no backend could be reached
//
// What comes of it, besides the code:
//
//	status=429           follows from the code; need not be said
//	level=api policy=Gold
//	                     who refuses
//	retry=60             Retry-After
//	left=3               X-RateLimit-Remaining: what is left of the tightest limit
//	to=http://a,http://b the backends to choose from
//	path=/menu?a=b       what they are asked for
//
// # Fleets
//
// The scripts in testdata/fleet are about several gateways and traffic managers:
// the real ones, each with its uplink, its port and its ear on the topic, over a
// network and a topic in memory that have the faults asked for. The first line says
// what there is; gateways are g1, g2 and so on, traffic managers m1, m2:
//
//	fleet 3 gateways 2 managers [alone] [groups] [late g3 ...]
//
// Alone, gateways tell nobody; groups makes each traffic manager a group of its own;
// those that are late are started by a step. Then there are
//
//	at 90s                          the true time is so long after the start
//	wait 1s                         and that much later
//	hit g1 WHO METHOD TARGET [xN] OUTCOME ...
//	load WHO METHOD TARGET rate=50 for=4s [on=g1,g2] [OPTION ...]
//	                                calls at a constant rate, to one gateway after
//	                                the other
//	admitted 100..102               so many of the loads since the last such step
//	kill m1, start m1               the process ends at once; another begins
//	hang m1, resume m1              the process stops where it is; goes on
//	clock g2 3m                     its clock is ahead of the true time by so much
//	topic down|up|fine              the broker
//	topic [lose] [double] [shuffle] [late=70s]
//	                                what it does to messages
//	apply v2 [NODE ...]             the files under v2/ are laid over the project
//	count m1 restatements 3         a counter of a traffic manager
package sim
