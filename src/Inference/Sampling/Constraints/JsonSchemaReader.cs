using System.Globalization;
using System.Text.Json;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// Reads a JSON schema (draft 2020-12, and what earlier drafts write alike) into an expression for its values. Properties
/// come in the order of the schema, the others after them. A keyword that cannot be enforced is refused, never ignored.
/// </summary>
internal sealed class JsonSchemaReader
{
    private const int MaxDepth = 100;
    private const int MaxNameLength = 200;
    private const int MaxOneOf = 200;

    private static readonly string[] TypeNames = ["object", "array", "string", "integer", "number", "boolean", "null"];

    private readonly JsonElement _root;
    private readonly JsonGrammar _json;
    private readonly bool _othersByDefault;
    private readonly CompileWork _work;
    private readonly Dictionary<string, Rule> _references = [];
    private int _depth;

    private JsonSchemaReader(JsonElement root, JsonGrammar json, bool othersByDefault, CompileWork work) =>
        (_root, _json, _othersByDefault, _work) = (root, json, othersByDefault, work);

    /// <param name="schema">An object or a boolean.</param>
    /// <param name="json">Kind of white space.</param>
    /// <param name="othersByDefault">Whether an object without additionalProperties may have any.</param>
    /// <param name="work">Bounds the number of schemas read: references can name one part in many ways.</param>
    /// <exception cref="ConstraintException">Names the keyword and its place.</exception>
    public static Expression Read(JsonElement schema, JsonGrammar json, bool othersByDefault, CompileWork work) =>
        new JsonSchemaReader(schema, json, othersByDefault, work).Read(schema, "#");

    private Expression Read(JsonElement schema, string path)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.False)
            return schema.GetBoolean() ? _json.Value : Expression.AnyOf();
        if (schema.ValueKind != JsonValueKind.Object)
            throw new ConstraintException($"the schema at {path} must be an object or a boolean, got {schema.ValueKind}");
        if (++_depth > MaxDepth)
            throw new ConstraintException($"the schema at {path} nests more than {MaxDepth} deep");
        // What is read becomes some twenty objects; the keywords are looked through several times.
        _work.Spend(20 + schema.GetPropertyCount());
        var expression = ReadKind(new SchemaFields(schema, path));
        _depth--;
        return expression;
    }

    private Expression ReadKind(SchemaFields fields)
    {
        const string Alone = "can only be enforced without '";
        if (fields.Element("$ref") is { } reference)
        {
            fields.RefuseAllBut(Alone + "$ref' beside it", "$ref");
            return Resolve(reference, fields);
        }

        if (fields.Has("const"))
        {
            fields.RefuseAllBut(Alone + "const' beside it", "const", "type");
            return Constants([fields.Element("const")!.Value], fields);
        }

        if (fields.Element("enum", JsonValueKind.Array) is { } values)
        {
            fields.RefuseAllBut(Alone + "enum' beside it", "enum", "type");
            return Constants(values.EnumerateArray(), fields);
        }

        foreach (var combination in (ReadOnlySpan<string>)["anyOf", "oneOf", "allOf"])
        {
            if (fields.Element(combination, JsonValueKind.Array) is not { } options)
                continue;
            fields.RefuseAllBut($"{Alone}{combination}' beside it", combination);
            return Combine(combination, [.. options.EnumerateArray()], fields);
        }

        return ReadTypes(fields);
    }

    private Expression Combine(string keyword, JsonElement[] options, SchemaFields fields)
    {
        if (options.Length == 0)
            throw fields.Refused(keyword, "is empty");
        if (keyword == "allOf" && options.Length > 1)
            throw fields.Refused(keyword, "cannot be enforced with more than one schema");
        if (keyword == "oneOf" && options.Length > MaxOneOf)
            throw fields.Refused(keyword, $"can only be enforced for at most {MaxOneOf} schemas, got {options.Length}");
        if (keyword == "oneOf" && !DisjointSchemas.Hold(options, option => Follow(option, fields), _work))
            throw fields.Refused(keyword, "cannot be enforced: its schemas must differ in type, or be objects that all require a property with differing constants (else use anyOf)");
        return Expression.AnyOf([.. options.Select((option, i) => Read(option, fields.At(keyword, i)))]);
    }

    private Reference Resolve(JsonElement reference, SchemaFields fields)
    {
        var pointer = reference.ValueKind == JsonValueKind.String ? reference.GetString()! : throw fields.Refused("$ref", "must be a string");
        var (target, path) = Target(pointer, fields);
        if (_references.TryGetValue(path, out var rule))
            return new Reference(rule);
        _references[path] = rule = new Rule(path);
        rule.Body = Read(target, path);
        return new Reference(rule);
    }

    /// <summary>What a pointer names, and its path, which is the same however the pointer is written.</summary>
    private (JsonElement Schema, string Path) Target(string pointer, SchemaFields fields)
    {
        if (pointer != "#" && !pointer.StartsWith("#/", StringComparison.Ordinal))
            throw fields.Refused("$ref", $"can only point into the schema itself (#/…), got '{pointer}'");
        var (at, path) = (_root, "#");
        foreach (var part in pointer.Split('/').Skip(1))
        {
            var name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (at.ValueKind == JsonValueKind.Array && int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < at.GetArrayLength())
                (at, name) = (at[index], index.ToString(CultureInfo.InvariantCulture));
            else if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at))
                throw fields.Refused("$ref", $"points to nothing: '{pointer}'");
            path += "/" + name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);
        }

        return (at, path);
    }

    /// <summary>The schema behind references, for comparing; a circle of them ends somewhere on it.</summary>
    private JsonElement Follow(JsonElement schema, SchemaFields fields)
    {
        for (var i = 0; i < MaxDepth && schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("$ref", out var reference) && reference.ValueKind == JsonValueKind.String; i++)
            schema = Target(reference.GetString()!, fields).Schema;
        return schema;
    }

    private static Expression Constants(IEnumerable<JsonElement> values, SchemaFields fields)
    {
        var types = Types(fields);
        return Expression.AnyText(values.Where(v => types.Any(t => JsonConstant.Is(v, t))).Select(JsonConstant.Write));
    }

    /// <summary>Keywords restrict only values of their own type, so each type is read by itself.</summary>
    private Expression ReadTypes(SchemaFields fields)
    {
        fields.RefuseAllBut(
            "cannot be enforced",
            ["type", .. ObjectKeywords, "items", "prefixItems", "minItems", "maxItems", "uniqueItems", .. StringSchema.Keywords, .. NumberSchema.Keywords]);
        if (!fields.Restrictions.Any())
            return _json.Value;
        var types = Types(fields);
        return Expression.AnyOf([.. types.Where(t => t != "integer" || !types.Contains("number")).Select(type => type switch
        {
            "object" => ReadObject(fields),
            "array" => ReadArray(fields),
            "string" => StringSchema.Read(fields),
            "integer" => NumberSchema.Integer(fields),
            "number" => NumberSchema.Number(fields),
            "boolean" => JsonGrammar.Boolean,
            _ => JsonGrammar.Null,
        })]);
    }

    private static string[] ObjectKeywords => ["properties", "required", "additionalProperties"];

    private static string[] Types(SchemaFields fields)
    {
        string[] types = fields.Element("type") switch
        {
            null => TypeNames,
            { ValueKind: JsonValueKind.String } one => [one.GetString()!],
            { ValueKind: JsonValueKind.Array } several when several.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String) =>
                [.. several.EnumerateArray().Select(t => t.GetString()!).Distinct()],
            _ => throw fields.Refused("type", "must be a string or an array of strings"),
        };
        return types.FirstOrDefault(t => !TypeNames.Contains(t)) is { } unknown ? throw fields.Refused("type", $"names the unknown type '{unknown}'") : types;
    }

    private Expression ReadObject(SchemaFields fields)
    {
        var declared = fields.Element("properties", JsonValueKind.Object)?.EnumerateObject().DistinctBy(p => p.Name).ToArray() ?? [];
        var required = fields.Element("required", JsonValueKind.Array)?.EnumerateArray()
            .Select(name => name.ValueKind == JsonValueKind.String ? name.GetString()! : throw fields.Refused("required", "must be an array of strings")).Distinct().ToArray() ?? [];
        var others = fields.Element("additionalProperties") is { } schema ? Read(schema, fields.At("additionalProperties"))
            : _othersByDefault ? _json.Value : Expression.AnyOf();
        var inner = new SchemaFields(fields.Json, fields.At("properties"));
        var properties = declared.Select(p => (p.Name, Value: Read(p.Value, inner.At(p.Name)), Required: required.Contains(p.Name)))
            .Concat(required.Except(declared.Select(p => p.Name)).Select(name => (name, others, true)))
            .ToList();
        var none = others is Alternatives { Options.Count: 0 };
        var names = properties.ConvertAll(p => p.Item1);
        if (!none && names.FirstOrDefault(n => n.Length > MaxNameLength) is { } longName)
            throw fields.Refused("additionalProperties", $"can only be enforced beside property names of at most {MaxNameLength} characters (or as false), got '{longName[..20]}…'");
        return _json.Object(
            properties.ConvertAll(p => (Expression.Text($"\"{JsonGrammar.Escape(p.Item1)}\""), p.Item2, p.Item3)),
            none ? null : names.Count == 0 ? JsonGrammar.String : JsonGrammar.KeysOtherThan(names),
            none ? null : others);
    }

    private Expression ReadArray(SchemaFields fields)
    {
        if (fields.Element("uniqueItems") is { ValueKind: not JsonValueKind.False })
            throw fields.Refused("uniqueItems", "cannot be enforced");
        var least = fields.Count("minItems") ?? 0;
        var most = fields.Count("maxItems");
        var item = fields.Element("items") is { } schema ? Read(schema, fields.At("items")) : _json.Value;
        var prefix = fields.Element("prefixItems", JsonValueKind.Array)?.EnumerateArray().Select((p, i) => Read(p, fields.At("prefixItems", i))).ToArray() ?? [];
        return least > most ? Expression.AnyOf() : _json.Array(prefix, item, least, most);
    }
}
