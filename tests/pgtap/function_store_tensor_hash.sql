BEGIN;
SELECT plan(3);

SELECT is(
    llm_store.tensor_hash('Q8_0', '{2,32}', ARRAY[sha256('abc')]),
    -- printf 'Q8_0 2,32\n' and the 32 bytes of `printf abc | sha256sum`, through sha256sum
    '\x2d6c841d7b3a193222de20b180c868439c4d1454b59210943346f65941d9057a'::bytea, 'it is what sha256sum says');
SELECT isnt(
    llm_store.tensor_hash('F32', '{2,3}', ARRAY[sha256('abc')]), llm_store.tensor_hash('F32',
    '{3,2}', ARRAY[sha256('abc')]),
    'the shape is part of it');
SELECT isnt(
    llm_store.tensor_hash('F32', '{4}', ARRAY[sha256('a'), sha256('b')]),
    llm_store.tensor_hash('F32', '{4}', ARRAY[sha256('b'), sha256('a')]), 'so is the order of tiles');

SELECT * FROM finish();
ROLLBACK;
