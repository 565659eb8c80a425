BEGIN;
SELECT plan(9);

CREATE TEMPORARY TABLE passage (id integer, embedding bytea, numbers real[]);
INSERT INTO passage (id, embedding, numbers) VALUES
(1, '\x0000803f00000000', '{1,0}'),
(2, '\x000000000000803f', '{0,1}'),
(3, NULL, NULL);

SELECT results_eq(
    $$SELECT content ->> 'id', similarity FROM llm.search('\x0000803f00000000'::bytea, 'passage')$$,
    $$VALUES ('1', 1::real), ('2', 0::real)$$, 'the closest first, and none without an embedding');
SELECT results_eq(
    $$SELECT p.id FROM llm.search('\x000000000000803f'::bytea, 'passage', 1, 'numbers') AS s
      INNER JOIN passage AS p ON p.ctid = s.tuple$$,
    $$VALUES (2)$$, 'real[] too, and rows join by tuple');
DELETE FROM passage WHERE id = 1;
SELECT results_eq(
    $$SELECT content ->> 'id' FROM llm.search('\x0000803f00000000'::bytea, 'passage')$$,
    $$VALUES ('2')$$, 'what the transaction deleted is gone');
SELECT is_empty(
    $$SELECT * FROM llm.search(NULL::text, 'passage')$$, 'NULL finds nothing');
SELECT throws_ok(
    $$SELECT * FROM llm.search('\x0000803f'::bytea, 'passage')$$,
    '22023', NULL, 'a vector of another width is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.search('\x0000803f'::bytea, 'passage', 1, 'id')$$,
    '22023', NULL, 'so is a column of another type');
SELECT throws_ok(
    $$SELECT * FROM llm.search('\x0000803f'::bytea, 'passage', 1, 'nothing')$$,
    '42704', NULL, 'so is one that is not there');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.search(NULL::text, NULL)', '42501', NULL, 'a role without rights may not');
SELECT throws_ok('SELECT llm.search(NULL::bytea, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
