using Eigengate.ChatTemplates;
using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>Makes prompts of conversations with the chat templates of the served model. Safe for any number of threads.</summary>
internal sealed class ChatPrompts
{
    private readonly ChatTemplateFile _file;
    private readonly Dictionary<ChatTemplate, ContentForm> _forms;

    private ChatPrompts(ChatTemplateFile file)
    {
        _file = file;
        _forms = file.Templates.Values.ToDictionary(template => template, template => ContentForm.Of(template, file.SpecialTokens));
    }

    /// <summary>Null when the folder has no template: such a model completes, but does not chat.</summary>
    /// <exception cref="ChatTemplateException">A template is malformed; the message names its file.</exception>
    public static ChatPrompts? Load(string modelDirectory) => ChatTemplateFile.Load(modelDirectory) is { } file ? new ChatPrompts(file) : null;

    /// <exception cref="ApiException">The template refuses the conversation or does not work with it.</exception>
    public string Render(ChatPrompt prompt, CancellationToken cancel)
    {
        ChatTemplate template = _file.Select(prompt.Tools is not null) ?? throw new ApiException(ApiError.BadRequest(
            $"The model has the chat templates {string.Join(", ", _file.Templates.Keys.Order(StringComparer.Ordinal))}, but none named default.", "messages"));
        try
        {
            if (!prompt.ContinueFinalMessage)
                return NotEmpty(template.Render(Variables(prompt, template, ""), cancellationToken: cancel));
            var mark = new OpenEnd();
            return NotEmpty(mark.Cut(template.Render(Variables(prompt, template, mark.Text), cancellationToken: cancel)));
        }
        catch (ChatTemplateRejection rejection)
        {
            throw Refused(rejection.Message);
        }
        catch (ChatTemplateException mismatch)
        {
            throw Refused($"The model's chat template cannot render these messages: {mismatch.Message}");
        }
    }

    /// <param name="prompt">The request.</param>
    /// <param name="template">The template that will see them.</param>
    /// <param name="ending">Appended to the last message.</param>
    private Dictionary<string, object?> Variables(ChatPrompt prompt, ChatTemplate template, string ending)
    {
        Dictionary<string, object?> variables = [];
        foreach (var (name, token) in _file.SpecialTokens)
            variables[name] = token;
        foreach (var (name, value) in prompt.Variables)
            variables[name] = value;
        ContentForm form = _forms[template];
        int last = prompt.Messages.Count - 1;
        variables["messages"] = prompt.Messages.Select((message, i) => Message(message, form, i == last ? ending : "")).ToArray();
        variables["tools"] = prompt.Tools;
        variables["add_generation_prompt"] = prompt.AddGenerationPrompt;
        return variables;
    }

    private static Dictionary<string, object?> Message(ChatMessage message, ContentForm form, string ending)
    {
        Dictionary<string, object?> shown = new() { ["role"] = message.Role, ["content"] = form.ContentOf(message, ending) };
        foreach (var (name, value) in message.Others)
            shown[name] = value;
        return shown;
    }

    private static string NotEmpty(string text) => text.Length > 0 ? text : throw Refused("The model's chat template makes nothing of these messages.");

    private static ApiException Refused(string message) => new(ApiError.BadRequest(message, "messages"));
}
