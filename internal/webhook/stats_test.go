package webhook

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int{
		-time.Second:              0,
		0:                         0,
		time.Millisecond:          0,
		time.Millisecond + 1:      1,
		1200 * time.Microsecond:   1,
		1200*time.Microsecond + 1: 2,
		30 * time.Second:          57,
		time.Hour:                 57,
		time.Duration(1<<63 - 1):  57,
	} {
		if got := Bucket(d); got != want {
			t.Errorf("Bucket(%s) = %d, want %d", d, got, want)
		}
	}
	for i := range Buckets {
		if upper := BucketUpper(i); Bucket(upper) != i || i < Buckets-1 && Bucket(upper+1) != i+1 {
			t.Errorf("bucket %d ends at %s, which is in bucket %d, and what follows in %d", i, upper, Bucket(upper), Bucket(upper+1))
		}
	}
	if longest := BucketUpper(Buckets - 1); longest < 30*time.Second || longest > 40*time.Second {
		t.Errorf("the last bucket ends at %s, want it to hold the longest time limit, 30 s", longest)
	}
}

// TestPercentile compares with what sorting finds: the bucket's end is never
// below it, and at most 20 % above.
func TestPercentile(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // to be the same each time
	var s DeliveryStats
	var all []time.Duration
	if s.Percentile(50) != nil || s.SuccessRate() != nil {
		t.Error("something is known of nothing")
	}
	for n := range 3000 {
		d := time.Millisecond + time.Duration(random.ExpFloat64()*float64(200*time.Millisecond))
		all = append(all, d)
		s.Durations[Bucket(d)]++
		if n > 200 && n%100 > 0 {
			continue
		}
		slices.Sort(all)
		for _, percent := range []int{0, 1, 50, 95, 99, 100} {
			exact := all[max((len(all)*percent+99)/100, 1)-1]
			got := s.Percentile(percent)
			if got == nil || *got < exact || float64(*got) > float64(exact)*1.2+1 {
				t.Fatalf("percentile %d of %d attempts = %v, want about %s", percent, len(all), got, exact)
			}
		}
	}
}

func TestSuccessRate(t *testing.T) {
	t.Parallel()
	s := DeliveryStats{Counts: DeliveryCounts{Pending: 9, Retrying: 9, Canceled: 9, Succeeded: 3, Failed: 1}}
	if rate := s.SuccessRate(); rate == nil || *rate != 0.75 {
		t.Errorf("SuccessRate = %v, want 0.75", rate)
	}
	if total := s.Counts.Total(); total != 31 {
		t.Errorf("Total = %d, want 31", total)
	}
}
