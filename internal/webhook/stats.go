package webhook

import (
	"math"
	"time"
)

// Bucket is the number of the bucket of durations that d falls into.
func Bucket(d time.Duration) int {
	return max(0, int(math.Log(float64(d)/float64(time.Millisecond))/math.Log(1.2)))
}
