BEGIN;
SELECT plan(3);

SELECT is(current_setting('server_encoding'), 'UTF8', 'the database is UTF-8');
SELECT cmp_ok(current_setting('server_version_num')::integer, '>=', 150000, 'the server is new enough');
SELECT is(length('🦥'), 1, 'a character outside the basic plane is one character');

SELECT * FROM finish();
ROLLBACK;
