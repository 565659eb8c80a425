-- Deploy hartonomous:function_runtime_row_schema to pg
-- requires: schema_llm_runtime, role_llm_owner

-- What a type's input reads, as near as JSON Schema can say it; that the value fits is checked when it becomes one.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.row_schema(type oid, modifier integer DEFAULT -1, depth integer DEFAULT 0)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    of pg_type;
BEGIN
    SELECT t.* INTO STRICT of FROM pg_type AS t WHERE t.oid = row_schema.type;
    IF depth > 16 THEN
        RAISE EXCEPTION 'type % is nested too deeply', format_type(type, NULL) USING ERRCODE = '53400';
    END IF;
    CASE
        WHEN of.typtype = 'd' THEN
            RETURN llm_runtime.row_schema(of.typbasetype, of.typtypmod, depth + 1);
        WHEN of.typtype = 'e' THEN
            RETURN (
                SELECT jsonb_build_object('enum', coalesce(jsonb_agg(e.enumlabel ORDER BY e.enumsortorder), '[]'))
                FROM pg_enum AS e WHERE e.enumtypid = of.oid
            );
        WHEN of.typtype = 'c' THEN
            RETURN (
                SELECT jsonb_build_object(
                    'type', 'object', 'additionalProperties', false,
                    'required', coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]'),
                    'properties', coalesce(jsonb_object_agg(a.attname, CASE
                        WHEN a.attnotnull OR d.typnotnull THEN s.of_column
                        ELSE jsonb_build_object('anyOf', jsonb_build_array(s.of_column, '{"type": "null"}'::jsonb))
                    END), '{}')
                )
                FROM pg_attribute AS a
                INNER JOIN pg_type AS d ON a.atttypid = d.oid
                CROSS JOIN LATERAL (
                    SELECT llm_runtime.row_schema(a.atttypid, a.atttypmod, depth + 1) AS of_column
                ) AS s
                WHERE a.attrelid = of.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            );
        WHEN of.typcategory = 'A' THEN
            RETURN jsonb_build_object(
                'type', 'array', 'maxItems', 16, 'items', llm_runtime.row_schema(of.typelem, modifier, depth + 1)
            );
        WHEN of.oid IN ('json'::regtype, 'jsonb'::regtype) THEN
            RETURN '{}';
        WHEN of.oid = 'boolean'::regtype THEN
            RETURN '{"type": "boolean"}';
        WHEN of.oid = 'smallint'::regtype THEN
            RETURN '{"type": "integer", "minimum": -32768, "maximum": 32767}';
        WHEN of.oid = 'integer'::regtype THEN
            RETURN '{"type": "integer", "minimum": -2147483648, "maximum": 2147483647}';
        WHEN of.oid = 'bigint'::regtype THEN -- what float64 holds exactly
            RETURN '{"type": "integer", "minimum": -9007199254740992, "maximum": 9007199254740992}';
        WHEN of.oid = 'numeric'::regtype AND modifier >= 4 AND ((modifier - 4) & 2047) <= 9 THEN
            RETURN (
                SELECT jsonb_build_object(
                    'type', 'number', 'minimum', -m.most, 'maximum', m.most, 'multipleOf', 10::numeric ^ -m.scale
                )
                FROM (
                    SELECT
                        (modifier - 4) & 2047 AS scale,
                        (10::numeric ^ ((modifier - 4) >> 16) - 1) / 10::numeric ^ ((modifier - 4) & 2047) AS most
                ) AS m
            );
        WHEN of.typcategory = 'N' THEN
            RETURN '{"type": "number"}';
        WHEN of.oid = 'date'::regtype THEN
            RETURN '{"type": "string", "format": "date"}';
        WHEN of.oid = 'time'::regtype THEN
            RETURN '{"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"}';
        WHEN of.oid IN ('timestamp'::regtype, 'timestamptz'::regtype) THEN
            RETURN '{"type": "string", "format": "date-time"}';
        WHEN of.oid = 'uuid'::regtype THEN
            RETURN '{"type": "string", "format": "uuid"}';
        WHEN of.oid IN ('int4range'::regtype, 'int8range'::regtype, 'numrange'::regtype) THEN
            RETURN '{"type": "string", "pattern": "^\\[-?(0|[1-9][0-9]{0,8}),-?(0|[1-9][0-9]{0,8})[\\])]$"}';
        WHEN of.oid = 'daterange'::regtype THEN
            RETURN '{"type": "string", "pattern": "^\\[[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8]),'
                '[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])[\\])]$"}';
        WHEN of.oid IN ('varchar'::regtype, 'bpchar'::regtype) AND modifier >= 4 THEN
            RETURN jsonb_build_object('type', 'string', 'maxLength', modifier - 4);
        ELSE
            RETURN '{"type": "string"}';
    END CASE;
END
$function$;

REVOKE ALL ON FUNCTION llm_runtime.row_schema(oid, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.row_schema(oid, integer, integer) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.row_schema(oid, integer, integer) IS
E'The JSON Schema of the values of a type, as llm.generate_row uses it: columns in their order, all of them required, '
'NULL where a column allows it; generated columns are left out. An array has 16 elements at most.\n'
'type: of a table, a composite type, or any other. modifier: of the type, such as the length of a varchar. '
'depth: how many types it lies in.';

COMMIT;
