BEGIN;
SELECT plan(2);

SELECT ok(
    (SELECT k.type = 'Q8_0' AND k.code = 253 FROM llm_store.atom_code('Q8_0\000\375') AS k),
    'a code of eight bits is one byte');
SELECT ok(
    (SELECT k.type = 'BF16' AND k.code = 64513 FROM llm_store.atom_code('BF16\000\001\374') AS k),
    'one of sixteen is two, little-endian');

SELECT * FROM finish();
ROLLBACK;
