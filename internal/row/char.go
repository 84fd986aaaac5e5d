package row

// compileString builds the encoder of CHAR, VARCHAR and the shorter TEXTs.
func compileString(s source) (encoder, error) {
	encode, err := compileText(s)
	if err != nil || s.phase != Copy || s.declaration.Base != "char" {
		return encode, err
	}
	return func(dst, value []byte) ([]byte, error) {
		start := len(dst) + 1 // after the quote
		dst, err := encode(dst, value)
		if err != nil {
			return dst, err
		}
		return trimPadding(dst, start), nil
	}, nil
}

// trimPadding removes the trailing spaces of a JSON string, from start to its closing quote. A CHAR never has trailing spaces of its own:
// if the server's sql_mode has PAD_CHAR_TO_FULL_LENGTH, a copy's SELECT is padded with them, but the binlog is not.
func trimPadding(dst []byte, start int) []byte {
	end := len(dst) - 1
	if end == start || dst[end-1] != ' ' {
		return dst
	}
	for end > start && dst[end-1] == ' ' {
		end--
	}
	return append(dst[:end], '"')
}
