BEGIN;
SELECT plan(3);

-- -128, 0 and 127 are the lowest, the middle and the highest of the codes of Q8_0.
SELECT is(
    (llm_store.atom_keys('Q8_0', '\x003c80007f'::bytea || decode(repeat('00', 29), 'hex'), 0)::bigint[])[:3],
    ARRAY[
        llm_atoms.hilbert_encode_2d(0, 128::bigint << 23), llm_atoms.hilbert_encode_2d(128::bigint << 23, 0),
        llm_atoms.hilbert_encode_2d(255::bigint << 23, 127::bigint << 23)
    ], 'x is the order of the value, y the code');
SELECT is(
    (llm_store.atom_keys('Q4_0', '\x003c21'::bytea || decode(repeat('00', 15), 'hex'), 0)::bigint[])[17],
    llm_atoms.hilbert_encode_2d(2::bigint << 27, 2::bigint << 27),
    'the high four bits come after the low ones of all bytes');
SELECT ok(llm_store.atom_keys('F32', '\x0000803f', 0) IS NULL, 'F32 weights are no atoms');

SELECT * FROM finish();
ROLLBACK;
