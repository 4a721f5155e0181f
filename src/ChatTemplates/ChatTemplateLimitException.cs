namespace Eigengate.ChatTemplates;

/// <summary>Rendering was stopped because it went past one of the <see cref="RenderOptions"/> limits.</summary>
public sealed class ChatTemplateLimitException(string message, int line, int column)
    : ChatTemplateException(message, line, column);
