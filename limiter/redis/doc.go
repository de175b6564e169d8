// Package redis keeps registers in a Redis or Valkey server.
package redis
