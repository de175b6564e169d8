// Package redis is a [limiter.Store] in a Redis server (6.2 or newer) or a Valkey
// server (7.2 or newer): alone, with replicas, or with replicas and Sentinels. A
// sharded cluster is refused.
//
// # What is asked of the server
//
// A batch is one call of one script, so that it happens at one moment, by the
// server's own clock. Its data should not be evicted (maxmemory-policy noeviction), and
// grants survive the loss of a primary only with a replica. [Store.Check] looks at all that.
//
// These are all rights that its user needs:
//
//	ACL SETUSER weir on >password resetkeys ~weir:* resetchannels -@all
//	    +evalsha +script|load +wait +time +info +ping +select +hello +auth +client|setname
//	    +get +set +hmget +hset +hdel +hscan +unlink +pttl +pexpire +pexpireat
//	    +zadd +zcard +zrangebyscore +zrem +zremrangebyscore
//
// where ~weir:* is the prefix of [Options]. All keys below it expire.
//
// # What is kept there
//
// Counters are hashed: nobody learns from them whom they count. Below the prefix there are
//
//	w <end 8>                  a hash of the windows that end then. Its fields are counters:
//	                           of each the sum, and 22 bytes for each node
//	s <width 8> <number>       a hash of windows that slide, likewise
//	p <width 8> <number/32>    a hash of what slides: of each counter the sums of 32 windows
//	buckets                    a hash of all buckets: of each its state, and 36 bytes for each node
//	epoch, nodes, hashes       whose data this is, which nodes live, and until when
//	                           hashes of windows are kept
//	sweep                      where the next buckets are that may be over
//
// A window that ends with many others takes about 110 bytes of the server's memory for its
// first node, and 24 for each other one; a bucket 140 and 55.
//
// An epoch ends when the server's replication id changes: with a restart or a
// promotion, and also when a server that had none gets its first replica, or has had
// none for an hour.
//
// The server's time is told in microseconds. Windows that begin and end at whole
// microseconds of it begin and end exactly then; others with the first microsecond after.
//
// # When it is down
//
// A call returns with an error, at the latest after [Options.Timeout]. It is not
// repeated here: whoever shares does so with the next batch, which tells all there is. A connection on
// which an answer did not come in time is closed, so a late answer is never taken
// for that of another call.
package redis
