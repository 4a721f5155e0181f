using System.Diagnostics.CodeAnalysis;

namespace Eigengate.ChatTemplates;

/// <summary>
/// The template itself refused the conversation by calling <c>raise_exception</c>; the message is the template author's
/// and is meant for the client.
/// </summary>
[SuppressMessage("Naming", "CA1710", Justification = "An answer of the template to its caller, not a failure.")]
public sealed class ChatTemplateRejection(string message) : Exception(message);
