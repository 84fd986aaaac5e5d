package state

import (
	"fmt"
	"strings"
	"testing"
)

// The server slices the values of a key out of its bytes by their lengths, without checking them.
func TestKeyWhoseValuesDoNotFitIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		length  int64 // as declared for the key's only value, which has two bytes
		refused bool
	}{
		"whole": {2, false}, "too long": {3, true}, "too short": {1, true}, "null": {-1, true}, "less than null": {-2, true}, "huge": {1 << 62, true},
	} {
		k := key()
		k.Fields, k.Rows[0].Values, k.Rows[0].Lengths = k.Fields[:1], []byte("42"), []int64{c.length}
		_, err := Parse(fmt.Appendf(nil, `{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"16b1039f-22b6-11ed-b765-0a43f95f28a3:1-5",`+
			`"copy":{"oldest_position":"","last_pk":"%s"}}}}`, encoded(t, k)), "shop")
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "last_pk is not one row") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
