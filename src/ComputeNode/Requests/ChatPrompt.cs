using System.Text.Json;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>The part of a request that a chat template turns into text; <c>/tokenize</c> has it too.</summary>
internal sealed record ChatPrompt
{
    // Each has a field of the request, whose checks a template variable would go round.
    private static readonly string[] Reserved = ["messages", "tools", "add_generation_prompt", "continue_final_message", "chat_template", "tokenize"];
    private static readonly string[] TemplateFields = ["documents", "reasoning_effort"];

    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    public JsonElement? Tools { get; init; }

    public bool AddGenerationPrompt { get; init; }

    /// <summary>Leave the last message open for the model to go on with.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>Further variables of the template.</summary>
    public required IReadOnlyDictionary<string, object?> Variables { get; init; }

    /// <exception cref="ApiException">Names the first field that is not acceptable.</exception>
    public static ChatPrompt Read(JsonFields body)
    {
        // A template is a program: one from the client could take all of this server's time.
        if (body.Has("chat_template"))
            throw UnofferedFields.NotOffered("chat_template", "templates in a request");
        bool goOn = body.Flag("continue_final_message") ?? false;
        bool addPrompt = body.Flag("add_generation_prompt") ?? !goOn;
        if (goOn && addPrompt)
            throw new ApiException(ApiError.BadRequest("continue_final_message and add_generation_prompt cannot both be true.", "continue_final_message"));
        var prompt = new ChatPrompt
        {
            Messages = ChatMessage.ReadAll(body),
            Tools = ToolFields.Read(body),
            AddGenerationPrompt = addPrompt,
            ContinueFinalMessage = goOn,
            Variables = ReadVariables(body),
        };
        return goOn && string.IsNullOrWhiteSpace(prompt.Messages[^1].Text)
            ? throw new ApiException(ApiError.BadRequest("continue_final_message: the last message has no text to continue.", "messages"))
            : prompt;
    }

    private static Dictionary<string, object?> ReadVariables(JsonFields body)
    {
        JsonFields? given = body.Object("chat_template_kwargs");
        if (Reserved.FirstOrDefault(name => given?.Has(name) == true) is { } reserved)
            throw new ApiException(ApiError.BadRequest($"chat_template_kwargs cannot set {reserved}; use the request's own field.", "chat_template_kwargs"));
        Dictionary<string, object?> variables = given is null ? [] : JsonFields.Copy(body.Element("chat_template_kwargs")!.Value, except: Reserved);
        foreach (string name in TemplateFields.Where(body.Has))
            variables[name] = body.Element(name)!.Value.Clone();
        return variables;
    }
}
