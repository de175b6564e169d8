//go:build race

package trafficmanager

// underRace tells that the race detector is on: then sync.Pool drops by chance.
const underRace = true
