-- Deploy hartonomous:table_atom_part to pg
-- requires: table_tokenizer

-- A row is written in the transaction that writes the part's atoms, before them. So of two loads of the same tokenizer the second
-- waits here, and then has nothing to do.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.atom_part (
    tokenizer_id integer NOT NULL,
    part integer NOT NULL,
    tokens bigint NOT NULL,
    counts bigint[] NOT NULL,
    steps bigint[] NOT NULL,
    CONSTRAINT atom_part_pkey PRIMARY KEY (tokenizer_id, part),
    CONSTRAINT atom_part_tokenizer_fkey FOREIGN KEY (tokenizer_id)
    REFERENCES llm_store.tokenizer (id) ON DELETE CASCADE,
    CONSTRAINT atom_part_known CHECK (part IN (0, 1)),
    CONSTRAINT atom_part_bytes CHECK (cardinality(counts) = 256),
    CONSTRAINT atom_part_axes CHECK (cardinality(steps) = 4)
);

ALTER TABLE llm_store.atom_part OWNER TO llm_owner;
GRANT SELECT ON llm_store.atom_part TO llm_user;

COMMENT ON TABLE llm_store.atom_part IS
'The parts of tokenizers whose tokens are stored as atoms. Immutable. A tokenizer with all parts also has a row of '
'llm_store.atom_byte_count.';
COMMENT ON COLUMN llm_store.atom_part.tokenizer_id IS 'The tokenizer.';
COMMENT ON COLUMN llm_store.atom_part.part IS
'0: tokens whose first byte is below that of @; 1: the others, such as letters.';
COMMENT ON COLUMN llm_store.atom_part.tokens IS 'The number of tokens.';
COMMENT ON COLUMN llm_store.atom_part.counts IS 'Occurrences of byte 0 to byte 255 in them.';
COMMENT ON COLUMN llm_store.atom_part.steps IS 'The sums of their x, y, z and m, in steps.';

COMMIT;
