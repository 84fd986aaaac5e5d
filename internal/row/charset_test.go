package row

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// charsetSamples reads testdata/charsets.txt: how MySQL itself converts each character set.
func charsetSamples(t testing.TB) (samples []charsetSample) {
	t.Helper()
	file, err := os.Open("testdata/charsets.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if fields[0] == "#" {
			continue
		}
		samples = append(samples, charsetSample{fields[0], unhex(t, fields[1]), unhex(t, fields[2])})
	}
	return samples
}

type charsetSample struct {
	name        string
	bytes, utf8 []byte
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCharsetsAreMySQLs(t *testing.T) {
	samples := charsetSamples(t)
	if len(samples) < 38 {
		t.Fatalf("MySQL 8 has 41 character sets, three of them UTF-8 or binary; %d were read", len(samples))
	}
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			if !knownCharset(s.name) {
				t.Fatal("not known")
			}
			encode, err := compileText(source{charset: s.name})
			if err != nil {
				t.Fatal(err)
			}
			out, err := encode(nil, s.bytes)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]rune(string(s.utf8)), []rune(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
