drop table if exists acceptance_orders;
create table acceptance_orders (id bigint primary key, customer varchar(50) not null, total decimal(10,2), paid_at datetime, note json);
insert into acceptance_orders values (1, 'Ada', 12.50, '2026-01-02 03:04:05', '{"gift": true}'), (2, 'Brook', 7.00, null, null), (3, 'Chidi', 0.99, '2026-02-03 04:05:06', '[]');
