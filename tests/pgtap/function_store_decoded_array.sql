BEGIN;
SELECT plan(4);

-- float4send is PostgreSQL's own, big-endian.
CREATE FUNCTION pg_temp.little_endian(number real)
RETURNS bytea
LANGUAGE sql
RETURN (
    SELECT string_agg(substring(float4send(number) FROM 5 - i FOR 1), '' ORDER BY i) FROM generate_series(1, 4) AS i
);
SELECT is_empty(
    $$SELECT n FROM unnest(ARRAY[
        0, 1, -1, 0.1, -3.14159, 1e-30, 16777216, 16777215, 3.4028235e38, -3.4028235e38, 1.17549435e-38, 1e-45,
        -1.1754942e-38, 'Infinity', '-Infinity', 'NaN']::real[]) AS n
    WHERE llm_store.decoded_array('F32', pg_temp.little_endian(n))::real[] IS DISTINCT FROM ARRAY[n]$$,
    'numbers come back as they are, from the smallest to the largest');
SELECT is(
    llm_store.decoded_array('F32', '\x0000803f000000400000404000008040')::real[],
    ARRAY[1, 2, 3, 4]::real[], 'one after the other');
SELECT is(
    float4send((llm_store.decoded_array('F32', '\x00000080')::real[])[1]), '\x80000000'::bytea, 'also -0');
SELECT throws_ok($$SELECT llm_store.decoded_array('Q9_9', 'x')$$, '0A000', NULL, 'an unknown encoding is refused');

SELECT * FROM finish();
ROLLBACK;
