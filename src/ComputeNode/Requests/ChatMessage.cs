using System.Globalization;
using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>One turn of a conversation (spec/http-api.md §6.1).</summary>
/// <param name="Role">Any name; what a template makes of an unusual one is its own affair.</param>
/// <param name="Parts">The texts of the content; null when an assistant only called tools.</param>
/// <param name="IsParts">The client sent an array of parts instead of one string.</param>
/// <param name="Others">All other fields, for the template: JSON or, for tool calls, JSON with their arguments parsed.</param>
internal sealed record ChatMessage(string Role, IReadOnlyList<string>? Parts, bool IsParts, IReadOnlyDictionary<string, object?> Others)
{
    public const string Assistant = "assistant";

    private static readonly string[] Known = ["role", "content", "tool_calls"];

    /// <summary>The content as one text.</summary>
    public string? Text => Parts is null ? null : string.Join('\n', Parts);

    /// <exception cref="ApiException">Absent, empty, or the first message that is none; named by its path.</exception>
    public static IReadOnlyList<ChatMessage> ReadAll(JsonFields body)
    {
        JsonElement messages = body.Element("messages") ?? throw new ApiException(ApiError.Schema("messages: expected an array of messages, got nothing.", "messages"));
        if (messages.ValueKind != JsonValueKind.Array)
            throw JsonFields.WrongType("messages", "an array of messages", messages);
        if (messages.GetArrayLength() == 0)
            throw new ApiException(ApiError.BadRequest("messages must not be empty.", "messages"));
        return [.. messages.EnumerateArray().Select((message, i) => Read(message, At("messages", i)))];
    }

    private static ChatMessage Read(JsonElement json, string path)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw JsonFields.WrongType(path, "a message object", json);
        var message = new JsonFields(json, path);
        string role = message.Text("role") ?? throw new ApiException(ApiError.Schema($"{path}.role: expected a string, got nothing.", $"{path}.role"));
        if (role.Length == 0)
            throw new ApiException(ApiError.BadRequest($"{path}.role must not be empty.", $"{path}.role"));

        Dictionary<string, object?> others = JsonFields.Copy(json, except: Known);
        if (ToolFields.ReadCalls(message) is { Count: > 0 } calls)
            others["tool_calls"] = calls;
        bool canBeSilent = role == Assistant && others.ContainsKey("tool_calls");
        return message.Element("content") is { } content
            ? new ChatMessage(role, ReadContent(content, message.Path("content")), content.ValueKind == JsonValueKind.Array, others)
            : canBeSilent ? new ChatMessage(role, null, false, others)
            : throw new ApiException(ApiError.BadRequest($"{path}.content may be null only for an assistant message with tool_calls.", $"{path}.content"));
    }

    private static IReadOnlyList<string> ReadContent(JsonElement content, string path) => content.ValueKind switch
    {
        JsonValueKind.String => [content.GetString()!],
        JsonValueKind.Array => [.. content.EnumerateArray().Select((part, i) => ReadPart(part, At(path, i)))],
        _ => throw JsonFields.WrongType(path, "a string or an array of text parts", content),
    };

    private static string ReadPart(JsonElement json, string path)
    {
        if (json.ValueKind == JsonValueKind.String)
            return json.GetString()!;
        if (json.ValueKind != JsonValueKind.Object)
            throw JsonFields.WrongType(path, "a text part", json);
        var part = new JsonFields(json, path);
        string type = part.Text("type") ?? throw new ApiException(ApiError.Schema($"{path}.type: expected a string, got nothing.", $"{path}.type"));
        // Whatever a client calls it: a text.
        string field = type switch
        {
            "text" or "input_text" or "output_text" => "text",
            "refusal" => "refusal",
            _ => throw UnofferedFields.NotOffered(path, $"message parts of type '{type}'"),
        };
        return part.Text(field) ?? throw new ApiException(ApiError.Schema($"{path}.{field}: expected a string, got nothing.", $"{path}.{field}"));
    }

    private static string At(string path, int index) => string.Create(CultureInfo.InvariantCulture, $"{path}.{index}");
}
