BEGIN;
SELECT plan(6);

CREATE TEMPORARY TABLE passage (id integer, embedding real[]);
INSERT INTO passage (id, embedding) VALUES (1, '{1,0}'), (2, '{0,1}');

SELECT results_eq(
    $$SELECT content ->> 'id', similarity FROM llm.search((SELECT embedding FROM passage WHERE id = 2), 'passage')$$,
    $$VALUES ('2', 1::real), ('1', 0::real)$$, 'rows like a row, the closest first');
SELECT is_empty($$SELECT * FROM llm.search(NULL::real[], 'passage')$$, 'NULL finds nothing');
SELECT throws_ok(
    $$SELECT * FROM llm.search('{1,NULL}'::real[], 'passage')$$,
    '22023', NULL, 'NULL among the numbers is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.search('{}'::real[], 'passage')$$, '22023', NULL, 'so is a vector of no numbers');
SELECT throws_ok(
    $$SELECT * FROM llm.search('{NaN,1}'::real[], 'passage')$$, '22023', NULL, 'and one without direction');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.search(NULL::real[], NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
