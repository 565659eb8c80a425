BEGIN;
SELECT plan(3);

-- The block of Q8_0 is a scale, here 0.5, and 32 integers.
SELECT is(
    llm.floats(llm_store.decoded('Q8_0', '\x0038'::bytea || decode(repeat('02fe', 16), 'hex'))),
    (SELECT array_agg(v) FROM generate_series(1, 16), (VALUES (1::real), (-1)) AS n (v)), 'scale times integer');
SELECT is(llm_store.decoded('BF16', '\x803f00c0'), '\x0000803f000000c0'::bytea, 'BF16 is the upper half of F32');
SELECT throws_ok($$SELECT llm_store.decoded('Q9_9', 'x')$$, '0A000', NULL, 'an unknown encoding is refused');

SELECT * FROM finish();
ROLLBACK;
