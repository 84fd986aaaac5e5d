package airbyte

import (
	"testing"
)

// A catalog from the platform is accepted, or refused with a message; what is accepted can be used.
func FuzzCatalog(f *testing.F) {
	f.Add(
		[]byte(
			`{"streams":[{"stream":{"name":"users","namespace":"shop","json_schema":{"properties":{"id":{}}}},"sync_mode":"incremental","primary_key":[["id"]],"sync_id":7}]}`,
		),
	)
	f.Add(
		[]byte(
			`{"streams":[{"stream":{"name":"a","json_schema":null},"sync_mode":"full_refresh"},{"stream":{"name":"b","json_schema":[]},"sync_mode":"full_refresh"}]}`,
		),
	)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfiguredCatalog(data)
		if err != nil {
			if len(err.Error()) > 2*len(data)+1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		for i := range c.Streams {
			s := &c.Streams[i]
			if s.Stream.Name == "" {
				t.Error("a stream without a name is accepted")
			}
			_, _ = s.Stream.Properties()
			if _, err := NewRecordPrefix(s.Stream.Descriptor()); err != nil {
				t.Errorf("its records cannot be written: %v", err)
			}
		}
	})
}

func FuzzStateFile(f *testing.F) {
	f.Add([]byte(`[{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":"shop"},"stream_state":{"version":1}}}]`))
	f.Add([]byte(`{"type":"LEGACY","data":{"streams":{}}}`))
	f.Add([]byte(`[{"type":"GLOBAL"},null,{}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseState(data)
		if err != nil {
			return
		}
		for d, state := range s.Streams {
			if d.Name == "" || isNull(state) {
				t.Errorf("%v has the state %q", d, state)
			}
		}
	})
}
