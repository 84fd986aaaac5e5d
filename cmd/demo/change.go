package main

import (
	"context"
	"fmt"
)

// statement is a change at the source.
type statement struct{ keyspace, sql string }

var statements = []statement{
	{commerce, `insert into demo_products (id, sku, name, category, tags, price, allergens, active)
  values (9001, 'SKU09001', 'Advent tea ❄', 'tea', 'vegan,new', 7.95, b'101', true)`},
	{commerce, `update demo_products set price = price * 1.05, attributes = json_set(attributes, '$.dearer', true)
  where category = 'tea'`},
	{commerce, `delete from demo_stock where quantity < 0`},
	{customer, `insert into demo_customers (id, loyalty_number, name, email, newsletter, points, created_at)
  values (900001, 42, 'Ada Lovelace', 'ada@example.com', true, 0, '2026-06-30 12:00:00.000001'),
         (900002, 43, '与謝野晶子', 'akiko@example.com', false, 0, '2026-06-30 12:00:00.000002')`},
	{customer, `update demo_orders set status = 'shipped', shipped_at = '2026-06-30 18:00:00' where status = 'paid'`},
	{customer, `update demo_addresses set city = 'Zürich', hint = null where customer_id <= 100`},
	{customer, `delete from demo_payments where status = 'failed'`},
	{customer, `update demo_order_lines set line = 9 where order_id = 7 and line = 2`},
}

func (d *demo) change(ctx context.Context) error {
	last := ""
	for _, s := range statements {
		if s.keyspace != last {
			fmt.Fprintln(d.out, d.paint(cyan, "use "+s.keyspace+";"))
			last = s.keyspace
		}
		result, err := d.dbs[s.keyspace].ExecContext(ctx, s.sql)
		if err != nil {
			return fmt.Errorf("the statement %q failed: %w", s.sql, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%s  %s\n", d.paint(cyan, s.sql+";"), d.paint(dim, "-- rows: "+count(n)))
	}
	d.say("The last one changes a key: that becomes a delete of the old row, and a new row.")
	return nil
}
