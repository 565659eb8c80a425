BEGIN;
SELECT plan(3);

SELECT ok((SELECT llm.summarize_agg(t) FROM (SELECT NULL::text) AS q (t)) IS NULL, 'NULLs are left out');
SELECT ok((SELECT llm.summarize_agg('a') WHERE FALSE) IS NULL, 'no text has no summary');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.summarize_agg(''a'')', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
