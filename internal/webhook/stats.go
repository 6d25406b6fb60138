package webhook

import (
	"math"
	"time"
)

// How long attempts took is counted in buckets: the first holds what took a
// millisecond or less, each further one what took up to 20 % more than the one
// before it, and the last, of 30 seconds and some, whatever took longer.
const (
	firstBucket  = time.Millisecond
	bucketGrowth = 1.2
	// Buckets is how many there are.
	Buckets = 58
)

// Bucket is the number of the bucket, from 0, of an attempt that took so long.
func Bucket(d time.Duration) int {
	if d <= firstBucket {
		return 0
	}
	i := int(math.Log(float64(d)/float64(firstBucket)) / math.Log(bucketGrowth))
	for i < Buckets-1 && BucketUpper(i) < d { // logarithms are not exact
		i++
	}
	return min(i, Buckets-1)
}

// BucketUpper is the longest time that a bucket holds.
func BucketUpper(bucket int) time.Duration {
	return time.Duration(float64(firstBucket) * math.Pow(bucketGrowth, float64(bucket)))
}

// DeliveryStats are how deliveries went over a time.
type DeliveryStats struct {
	// Counts are the deliveries that ended in that time, and those that are
	// open now.
	Counts DeliveryCounts
	// Durations are the numbers of attempts by the bucket of how long they took.
	Durations [Buckets]int
}

// SuccessRate is the share of deliveries that succeeded among those that
// succeeded or failed; nil where none did either.
func (s *DeliveryStats) SuccessRate() *float64 {
	finished := s.Counts.Succeeded + s.Counts.Failed
	if finished == 0 {
		return nil
	}
	rate := float64(s.Counts.Succeeded) / float64(finished)
	return &rate
}

// Percentile is the time within which so many of a hundred attempts were
// answered, rounded up to the end of its bucket; nil where there was none.
func (s *DeliveryStats) Percentile(percent int) *time.Duration {
	total := 0
	for _, n := range s.Durations {
		total += n
	}
	if total == 0 {
		return nil
	}
	rank, below := (total*percent+99)/100, 0
	for i, n := range s.Durations {
		if below += n; below >= max(rank, 1) {
			upper := BucketUpper(i)
			return &upper
		}
	}
	return nil
}
