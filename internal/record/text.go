package record

import (
	"strconv"
	"time"
)

// Moment is a time and its text, which is formatted once for all the records that share it.
type Moment struct {
	time time.Time
	text []byte // with quotes
}

// NewMoment returns the moment of a time.
func NewMoment(t time.Time) *Moment {
	m := &Moment{}
	m.set(t)
	return m
}

// Time is the moment's time, the zero one for nil.
func (m *Moment) Time() time.Time {
	if m == nil {
		return time.Time{}
	}
	return m.time
}

// timestamp is the format of timestamp_with_timezone.
const timestamp = `"2006-01-02T15:04:05.999999Z"`

func (m *Moment) set(t time.Time) {
	m.time, m.text = t, t.UTC().AppendFormat(m.text[:0], timestamp)
}

// counter is a positive number as text, which is faster to increment than to format.
type counter struct {
	digits [20]byte
	from   int
}

func newCounter(n int64) counter {
	var c counter
	var space [20]byte
	text := strconv.AppendInt(space[:0], n, 10)
	c.from = len(c.digits) - len(text)
	copy(c.digits[c.from:], text)
	return c
}

func (c *counter) text() []byte { return c.digits[c.from:] }

func (c *counter) increment() {
	for i := len(c.digits) - 1; i >= c.from; i-- {
		if c.digits[i] < '9' {
			c.digits[i]++
			return
		}
		c.digits[i] = '0'
	}
	c.from--
	c.digits[c.from] = '1'
}
