//go:build !race

package trafficmanager

const underRace = false
