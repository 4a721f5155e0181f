namespace Eigengate.Inference.Tests;

/// <summary>Test data that lives beside the repository: in shared/data of the root, or of the folder around it.</summary>
internal static class SharedData
{
    /// <summary>Finds a folder or file, or skips the test and says what is missing.</summary>
    public static string Path(string relative)
    {
        string root = RepositoryRoot();
        foreach (string shared in (string[])["shared", System.IO.Path.Combine("..", "shared")])
        {
            string candidate = System.IO.Path.GetFullPath(System.IO.Path.Combine(root, shared, "data", relative));
            if (File.Exists(candidate) || Directory.Exists(candidate))
                return candidate;
        }

        Assert.Skip($"shared data not present: {relative}");
        return "";
    }

    public static string RepositoryRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "Gateway.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("the tests do not run inside the repository");
    }
}
