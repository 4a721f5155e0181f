using System.Globalization;
using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// Tools in a chat request. They can be shown to the model, but its calls are not recognised in the output, so every
/// <c>tool_choice</c> that asks for calls is refused (spec/http-api.md §14).
/// </summary>
internal static class ToolFields
{
    /// <summary>The tools for the template, or null.</summary>
    /// <exception cref="ApiException">Malformed, or calls are asked for.</exception>
    public static JsonElement? Read(JsonFields body)
    {
        JsonElement? tools = body.Element("tools");
        if (tools is { ValueKind: not JsonValueKind.Array } wrong)
            throw JsonFields.WrongType("tools", "an array of tools", wrong);
        string[] names = [.. tools?.EnumerateArray().Select((tool, i) => NameOf(tool, $"tools.{Number(i)}")) ?? []];
        if (tools is not null && names.Length == 0)
            throw new ApiException(ApiError.BadRequest("tools: an empty list offers no tool; leave the field out.", "tools"));
        body.Flag("parallel_tool_calls");
        RefuseCalls(body.Element("tool_choice"), tools is not null, names);
        return tools?.Clone();
    }

    /// <summary>A message's tool calls as the template sees them: arguments parsed, since templates print them as JSON.</summary>
    public static IReadOnlyList<object?>? ReadCalls(JsonFields message)
    {
        if (message.Element("tool_calls") is not { } calls)
            return null;
        string path = message.Path("tool_calls");
        return calls.ValueKind == JsonValueKind.Array
            ? [.. calls.EnumerateArray().Select((call, i) => ReadCall(call, $"{path}.{Number(i)}"))]
            : throw JsonFields.WrongType(path, "an array of tool calls", calls);
    }

    private static Dictionary<string, object?> ReadCall(JsonElement call, string path)
    {
        JsonElement function = FunctionOf(call, path);
        Dictionary<string, object?> read = JsonFields.Copy(call);
        Dictionary<string, object?> parsed = JsonFields.Copy(function);
        if (function.TryGetProperty("arguments", out JsonElement arguments) && arguments.ValueKind == JsonValueKind.String)
            parsed["arguments"] = Parse(arguments.GetString()!, $"{path}.function.arguments");
        read["function"] = parsed;
        return read;
    }

    private static object Parse(string arguments, string path)
    {
        if (string.IsNullOrWhiteSpace(arguments))
            return new Dictionary<string, object?>();
        try
        {
            using JsonDocument document = JsonDocument.Parse(arguments);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new ApiException(ApiError.BadRequest($"{path}: the text is not valid JSON.", path));
        }
    }

    private static void RefuseCalls(JsonElement? choice, bool hasTools, string[] names)
    {
        string wanted = choice is { } given ? ChoiceOf(given, names) : hasTools ? "auto" : "none";
        if (wanted == "none")
            return;
        string byDefault = choice is null ? ", the default with tools" : "";
        throw UnofferedFields.NotOffered("tool_choice", $"tool calls (tool_choice: {wanted}{byDefault}); only tool_choice: none, which shows the tools to the model");
    }

    private static string ChoiceOf(JsonElement choice, string[] names)
    {
        if (choice.ValueKind == JsonValueKind.String && choice.GetString() is "none" or "auto" or "required")
            return choice.GetString()!;
        if (choice.ValueKind != JsonValueKind.Object)
            throw JsonFields.WrongType("tool_choice", "'none', 'auto', 'required' or a named function", choice);
        string name = NameOf(choice, "tool_choice");
        return names.Contains(name) ? $"function '{name}'"
            : throw new ApiException(ApiError.BadRequest($"tool_choice: there is no tool '{name}' in tools.", "tool_choice"));
    }

    private static string NameOf(JsonElement tool, string path) =>
        new JsonFields(FunctionOf(tool, path), $"{path}.function").Text("name")!;

    /// <summary>The <c>function</c> of a tool, a call or a choice; it has a name.</summary>
    private static JsonElement FunctionOf(JsonElement tool, string path)
    {
        if (tool.ValueKind != JsonValueKind.Object)
            throw JsonFields.WrongType(path, "an object with a function", tool);
        var fields = new JsonFields(tool, path);
        JsonFields function = fields.Object("function") ?? throw new ApiException(ApiError.Schema($"{path}.function: expected an object, got nothing.", $"{path}.function"));
        if (function.Text("name") is null)
            throw new ApiException(ApiError.Schema($"{path}.function.name: expected a string, got nothing.", $"{path}.function.name"));
        return tool.GetProperty("function");
    }

    private static string Number(int index) => index.ToString(CultureInfo.InvariantCulture);
}
