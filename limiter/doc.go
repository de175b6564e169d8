// Package limiter counts what keys spend and holds them to limits.
package limiter
