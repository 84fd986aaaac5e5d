package destination

// legal are the transitions between a stream's statuses.
var legal = map[string]bool{
	">STARTED": true, "STARTED>RUNNING": true, "STARTED>COMPLETE": true, "STARTED>INCOMPLETE": true,
	"RUNNING>COMPLETE": true, "RUNNING>INCOMPLETE": true,
}

// MayFollow reports whether the protocol allows a stream's status after another one, "" for none yet.
func MayFollow(status, next string) bool { return legal[status+">"+next] }
