// Package limiter counts what keys spend and holds them to limits.
//
// A [Limit] is a count per window: 5000 requests a minute, 10 GB a calendar
// month, 60 requests a minute of which 10 may come at once. A [Key] is whom it
// is counted for. A [Check] is one limit under one key, and [Limiter.Take] is
// the decision: given the time and all the checks that a request must pass,
// it charges all of them or none, and says of each what is left.
//
//	l := limiter.New(limiter.Options{})
//	seed := limiter.NewSeed()
//	...
//	checks := []limiter.Check{
//		{Limit: quota, Key: seed.Key("quota", user), N: 1},
//		{Limit: burst, Key: seed.Key("burst", user), N: 1},
//	}
//	ticket, ok := l.Take(time.Now(), checks)
//
// What has been decided may turn out otherwise. The [Ticket] of a Take adds the
// bytes of an answer when they are known (Settle), or gives back what was
// charged for a request that never got to its backend (Refund).
//
// # What is promised
//
// A limit is a limit, however many goroutines take at once. With [FixedWindow]
// N pass in each window and the N+1st is refused; with [SlidingWindow] no window,
// wherever it begins, sees more than N; with [TokenBucket] no time of length t sees
// more than Burst and what flows in during t. Counting is exact: in integers,
// with no drift. A Take sees all other Takes as done or not begun; a request is
// never refused because another one, that is refused itself, held something for
// a moment. Limits that only watch, shadows, are counted and never refuse.
//
// Time is an argument. A clock that steps back stays in the window it was in.
//
// # What it costs
//
// A decision allocates nothing and takes no lock that is shared by all keys:
// a counter is a slot of 32 bytes, found by its key's hash without any lock and
// locked on its own for the few nanoseconds of its change. A counter in its
// window needs 38 to 43 bytes with the free slots about it, that of a sliding
// window 300 more. There are no goroutines, but those of [Sharer.Run], and no pointers for
// the garbage collector to follow. Counters whose window is over make way for new
// ones, and [Limiter.Sweep] gives their memory back.
//
// However many keys come, [Options.MaxKeys] bounds the memory. See there for
// what a flood of keys does to it, and what it cannot do.
//
// # Where nodes share
//
// A counter is a [Register]: what this node spent of it, beside what it was told
// that others have. A limit is held against both. With [Options.Sharing] and a
// [Sharer], several nodes share counters through a [Store], such as the one of
// package limiter/redis: limits that are [Bounded] are exceeded by no more than comes
// while nodes hear of each other, those that are [Exact] never, since a node spends only
// what it was granted. What follows from that for callers:
//
//   - times come from [Sharer.Time];
//   - a [Check] may be Short, and [Sharer.Await] waits for what it lacks;
//   - while the store is away, limits do as their OnStoreLoss says.
//
// A counter that is shared needs 200 bytes more, and the Sharer some 350 for it
// while it is in use.
package limiter
