namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>The keywords of JSON Schema for strings.</summary>
internal static class StringSchema
{
    private const string Date =
        @"(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|"
        + @"(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)";

    private const string Time = @"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+\-]([01]\d|2[0-3]):[0-5]\d)";

    private static readonly Dictionary<string, string> Formats = new()
    {
        ["date"] = Date,
        ["time"] = Time,
        ["date-time"] = Date + "T" + Time,
        ["uuid"] = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        ["ipv4"] = @"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)",
    };

    public static string[] Keywords => ["minLength", "maxLength", "pattern", "format"];

    public static Expression Read(SchemaFields fields)
    {
        string[] given = [.. Keywords.Where(fields.Has)];
        var content = given.FirstOrDefault(k => k is "pattern" or "format");
        if (content is not null && given.Length > 1)
            throw fields.Refused(content, $"cannot be enforced together with '{given.First(k => k != content)}'");
        if (content is not null)
            return JsonGrammar.Quoted(JsonGrammar.Escaped(Content(content, fields)));

        var least = fields.Count("minLength") ?? 0;
        var most = fields.Count("maxLength");
        return least > most ? Expression.AnyOf() : JsonGrammar.Quoted(JsonGrammar.Character.Repeated(least, most));
    }

    private static Expression Content(string keyword, SchemaFields fields)
    {
        var value = fields.Element(keyword, System.Text.Json.JsonValueKind.String)!.Value.GetString()!;
        if (keyword == "format")
        {
            return Formats.TryGetValue(value, out var format) ? RegexParser.FullMatch(format)
                : throw fields.Refused(keyword, $"cannot be enforced for '{value}'; offered are {string.Join(", ", Formats.Keys)}");
        }

        try
        {
            return RegexParser.Search(value);
        }
        catch (ConstraintException e)
        {
            throw fields.Refused(keyword, $"cannot be enforced: {e.Message}");
        }
    }
}
