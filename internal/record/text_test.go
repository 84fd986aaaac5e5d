package record

import (
	"strconv"
	"testing"
)

func TestCounterCounts(t *testing.T) {
	for _, n := range []int64{0, 8, 9, 98, 99, 1_795_402_432_978_918, 999_999_999_999_999, 9_007_199_254_740_990} {
		c := newCounter(n)
		for i := range int64(25) {
			if got, want := string(c.text()), strconv.FormatInt(n+i, 10); got != want {
				t.Fatalf("%d increments of %d give %s", i, n, got)
			}
			c.increment()
		}
	}
}
