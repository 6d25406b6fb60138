//go:build !linux

package delivery

import "testing"

// blackHole is what comes nearest to a port whose packets are dropped.
func blackHole(t testing.TB) *peer { return fullBacklog(t) }
