-- Deploy hartonomous:function_store_numbers_below to pg
-- requires: table_number

-- The planner inlines the body, so that a condition on the number uses the index. With bounds on both sides it estimates few
-- numbers; with one bound it would estimate a third of the table and compile the query (JIT) for one row.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.numbers_below(count bigint)
RETURNS TABLE (n integer)
LANGUAGE sql
STABLE
PARALLEL SAFE
ROWS 1000
BEGIN ATOMIC
    SELECT number.n FROM llm_store.number WHERE number.n >= 0 AND number.n < numbers_below.count
    UNION ALL
    SELECT g.n FROM generate_series(262144, numbers_below.count::integer - 1) AS g (n);
END;

ALTER FUNCTION llm_store.numbers_below(bigint) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.numbers_below(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.numbers_below(bigint) TO llm_user;
COMMENT ON FUNCTION llm_store.numbers_below(bigint) IS
'The numbers from 0 to count - 1. A condition on the number uses an index; numbers from 262,144 on are generated.';

COMMIT;
