BEGIN;
SELECT plan(4);

SELECT ok((SELECT llm.ask_agg(t, 'why') FROM (SELECT NULL::text) AS q (t)) IS NULL, 'NULLs are left out');
SELECT ok((SELECT llm.ask_agg('a', NULL)) IS NULL, 'a question that is NULL has no answer');
SELECT throws_ok(
    $$SELECT llm.ask_agg('a', q) FROM (VALUES ('why'), ('how')) AS v (q)$$,
    '22023', 'the rows of a group have different questions', 'there is one question');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.ask_agg(''a'', ''b'')', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
