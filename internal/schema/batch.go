package schema

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// askEach runs statements of one result each, many per packet, because each packet costs a round trip. answer gets the rows of a
// statement by its index, or the server's refusal; a non-nil error from it ends the run.
func (db *DB) askEach(
	ctx context.Context, conn *sql.Conn, statements []string, answer func(i int, rows []map[string]string, refusal error) error,
) error {
	size := db.batchSize
	for next := 0; next < len(statements); {
		batch := statements[next:min(next+size, len(statements))]
		answered, err := askBatch(ctx, conn, batch, func(i int, rows []map[string]string) error { return answer(next+i, rows, nil) })
		next += answered
		switch {
		case err == nil:
		case !errors.As(err, new(*mysql.MySQLError)):
			return err
		case isNumbered(err, erParse, erSyntax) && len(batch) > 1:
			size = 1 // the server takes one statement to a packet
		default: // a refusal ends the packet, so go on after it
			if err := answer(next, nil, err); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}

// askBatch runs one packet. There may be fewer answers than statements, because a failing one ends the packet; answered counts them.
func askBatch(
	ctx context.Context, conn *sql.Conn, statements []string, answer func(i int, rows []map[string]string) error,
) (answered int, err error) {
	rows, err := conn.QueryContext(ctx, strings.Join(statements, ";"))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for more := true; more && answered < len(statements); more = rows.NextResultSet() {
		result, err := named(rows)
		if err != nil {
			return answered, err
		}
		if err := answer(answered, result); err != nil {
			return answered, err
		}
		answered++
	}
	return answered, rows.Err()
}
