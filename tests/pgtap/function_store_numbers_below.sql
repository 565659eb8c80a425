BEGIN;
SELECT plan(4);

SELECT results_eq(
    'SELECT n FROM llm_store.numbers_below(3) ORDER BY n', 'VALUES (0), (1), (2)', 'the numbers below three');
SELECT is_empty('SELECT n FROM llm_store.numbers_below(0)', 'none are below nothing');
SELECT is(
    (SELECT count(DISTINCT n) FROM llm_store.numbers_below(300000)), 300000::bigint, 'there is no end to them');
CREATE FUNCTION pg_temp.plan_of(query text)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN ' || query;
END
$$;
SELECT ok(
    EXISTS (
        SELECT FROM pg_temp.plan_of('SELECT FROM llm_store.numbers_below(1000) AS b WHERE b.n = 7') AS line
        WHERE line LIKE '%Index Cond:%(n = 7)%'
    ), 'one of them is found by index');

SELECT * FROM finish();
ROLLBACK;
